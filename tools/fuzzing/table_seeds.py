"""Tables, lists and cells such as the readers of collections and manifests expect, to begin fuzzing with."""

from __future__ import annotations

from detector.collections import siim
from detector.datasets import manifest


def csv_seeds() -> list[bytes]:
    """Return tables such as the readers expect."""
    row = dict.fromkeys(manifest.COLUMNS, "a") | {"file": "a.png", "age": "-3", "finding": "=1+1"}
    return [
        b"patientid,finding,view,modality,folder,filename,license,url\n1,COVID-19,PA,X-ray,images,a.png,CC0,http://x\n",
        b'Patientid, Finding ,VIEW,filename\n7,"Pneumonia/Viral/COVID-19, ""x""",PA,../a.png\n8,SARS,AP,b.png\n',
        manifest.as_file([row], ["age"]),
        b'file,age,sex\na.png,30,F\nb.png,,"M"\n',
        b"patientid,finding,view,imagename\nA1,No finding,PA,a.png\nA2,COVID-19,AP,b.png\n",
        b"patientid,offset,sex,age,finding,view\nCOVID-00003a,1,M,50+,COVID-19,PA\n",
        b"patient_id,image_id,sex,admission_offset,projection,neutrophils_offset,neutrophils_val\n"
        b"p,ab12,m,-3.0,pa,0.0,inf\nq,cd34,w,,ap,1.0,2.5\n",
        b"Image Index,Finding Labels,Patient ID,Patient Age,Patient Gender,View Position\n"
        b"1.png,Pneumonia|Mass,1,058Y,F,PA\n2.png,No Finding,2,414,M,AP\n",
        b"patientId,class\n0a,Normal\n0b,Lung Opacity\n0b,Lung Opacity\n",
        b"file,patient\na.png,1\nb.png,2\n",
        b"sep=;\nFile;Patient\nx\\a.png;1\n",
        "file\tpatient\na.png\t1\n".encode("utf-16"),
        b"<!DOCTYPE html>\n<html>",
        b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n",
        b"images/NORMAL2-IM-1179-0001.jpeg",
        b"images/../person101_virus_187.jpeg",
    ]


def challenge_seeds() -> list[bytes]:
    """Return pairs of tables such as the challenge's."""
    studies = b"id," + ",".join(siim.LABELS).encode() + b"\ns1_study,0,1,0,0\ns2_study,1,0,0,0\n"
    cell = b"\"[{'x': 10.5, 'y': -2, 'width': 30, 'height': 20}, {'x': 1e9, 'y': 0, 'width': 1, 'height': 1}]\""
    images = b"id,boxes,label,StudyInstanceUID\ni1_image," + cell + b",opacity,s1\ni2_image,,none,s2\n"
    return [studies + b"\n" + images, studies.replace(b",", b";") + b"\n" + images]


def list_seeds() -> list[bytes]:
    """Return lists such as COVIDx', old ones among them."""
    return [
        b"419639-003251 MIDRC-RICORD-1C-419639-003251-46647-0.png positive ricord\n1 ../b.png negative rsna\n",
        b"COVID-19 (69) COVID-19 (69).png COVID-19 sirm\n3 SARS Fig 8a.jpeg pneumonia\n",
    ]


def box_seeds() -> list[bytes]:
    """Return boxes in the three forms that are read."""
    return [
        b"[{'x': 789.28836, 'y': 582.43035, 'width': 1026.65662, 'height': 1917.30292}]",
        b'[{"x": 1, "y": 2, "width": 3, "height": 4}, {"x": nan, "y": 2, "width": 3, "height": 4}]',
        b"0.1 0.2 0.25 0.4; 0.6 0.25 0.3 0.5",
        b"patientId,x,y,width,height,Target\na,264.0,152.0,213.0,379.0,1\nb,,,,,0\n",
    ]
