"use strict";
const form = document.querySelector("form.filter");
if (form) {
  const cards = [...document.querySelectorAll(".cards > li")];
  const count = form.querySelector("output");
  const choose = () => {
    const label = form.elements.label.value;
    const answer = form.elements.answer?.value;
    let shown = 0;
    for (const card of cards) {
      const wanted = (!label || card.dataset.label === label) && (!answer || card.dataset.answer === answer);
      card.hidden = !wanted;
      shown += wanted;
    }
    count.value = `${shown} of ${cards.length} images shown`;
  };
  form.addEventListener("change", choose);
  form.hidden = false;
  choose();
}
