"""The path of an image stays inside of its collection."""

from __future__ import annotations

from pathlib import Path

from builder_helpers import collection
from conftest import inside, rejected
from hypothesis import given, settings
from hypothesis import strategies as st

from detector import InputError
from detector.collections import record


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=40), st.text(max_size=40))
def test_no_file_name_leads_out_of_the_local_copy(folder, filename):
    listed = record.ImageRecord("line 2", folder, filename, "", "PA", "COVID-19", "source", "site")
    try:
        path = record.require_inside(listed)
    except InputError:
        return
    resolved = Path("/clone", path).resolve()
    assert resolved.is_relative_to("/clone")
    assert resolved.name == filename


def test_images_outside_of_the_local_copy_and_files_of_two_patients_are_rejected(tmp_path):
    head = "patientid,finding,view,imagename\n"
    collection(tmp_path / "a", "metadata.csv", f"{head}1,COVID-19,PA,../../a.png\n")
    rejected(
        inside("build_covid_dataset.py", "-c", "a", "-o", "out", cwd=tmp_path), "no file inside the collection's folder"
    )
    collection(tmp_path / "b", "metadata.csv", f"{head}1,COVID-19,PA,a.png\n2,COVID-19,PA,a.png\n", "images/a.png")
    rejected(inside("build_covid_dataset.py", "-c", "b", "-o", "out", cwd=tmp_path), "listed under two patients")
    collection(tmp_path / "f", "metadata.csv", "patientid,finding,view\n../x,COVID-19,PA\n")
    rejected(
        inside("build_covid_dataset.py", "-c", "f", "-o", "out", cwd=tmp_path), "no file inside the collection's folder"
    )
    text = "patient_id,image_id,projection,admission_offset\np,../../x,pa,\n"
    collection(tmp_path / "h", "data.csv", text)
    rejected(
        inside("build_covid_dataset.py", "-c", "h", "-o", "out", cwd=tmp_path), "no file inside the collection's folder"
    )
    text = "Image Index,Finding Labels,Patient ID\na.png,No Finding,1\na.png,No Finding,2\n"
    collection(tmp_path / "n", "Data_Entry_2017.csv", text, "images/a.png")
    rejected(inside("sample_kaggle_dataset.py", "-k", "n", "-s", 1, cwd=tmp_path), "listed under two patients")
    assert not (tmp_path / "out").exists()
