// What the page says of two models beside each other.
Object.assign(MESSAGES.en, {
  version: (number) => `version ${number}`,
  onlyDiffering: "Only texts that differ",
  onlyHere: "only here",
  differing: (n) => `, ${count(n)} answered differently`,
  notPromised: (model, precision) => `; ${model} does not promise ${precision} %, so nothing is compared`,
  noOther: "No second model answers beside it any more; texts are classified anew.",
});
Object.assign(MESSAGES.zh, {
  version: (number) => `版本 ${number}`,
  onlyDiffering: "只看结果不同的文本",
  onlyHere: "仅此处",
  differing: (n) => `，${count(n)} 条结果不同`,
  notPromised: (model, precision) => `；${model} 不承诺 ${precision}%，因此不作对照`,
  noOther: "旁边的第二个模型已不再回答，文本将重新分类。",
});
