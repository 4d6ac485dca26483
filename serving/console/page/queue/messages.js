// What the page says of texts that are worth a look.
Object.assign(MESSAGES.en, {
  order: "Order",
  orders: {
    asGiven: "as given",
    leastSure: "least sure first",
    drifted: "least like the development set first",
    disagreement: "most disagreement first",
  },
  onlyUnjudged: "Only texts not yet judged",
  driftHint:
    "First comes what is rarest on the development set: by length, unknown words, highest score, or label of the first level. A label that is n times as frequent here as there counts as n times rarer.",
  rare: (traits) => `rare on the development set: ${traits.join("; ")}`,
  traits: {
    text_length: (bin, share) => `up to ${count(bin)} characters (${share} of it are as rare)`,
    unknown_share: (bin, share) => `up to ${percent(Number(bin), 0)} % unknown words (${share} of it are as rare)`,
    top_score: (bin, share) => `highest score up to ${bin} (${share} of it are as rare)`,
    top_label: (bin, share, here) => `“${bin}”, ${here} of the texts here (${share} of it are as rare)`,
  },
  noFirstLabel: "no label",
  otherLabel: "another label",
  textsKept: (most) => `Of the texts that programs send, up to ${count(most)} are kept here for people to look through.`,
  showKept: "Take them",
  noneKept: "No text has been kept yet.",
  keptName: "sent by programs",
});
Object.assign(MESSAGES.zh, {
  order: "顺序",
  orders: {
    asGiven: "原顺序",
    leastSure: "最没把握的在前",
    drifted: "最不像开发集的在前",
    disagreement: "分歧最大的在前",
  },
  onlyUnjudged: "只看尚未评判的文本",
  driftHint:
    "在开发集上最少见的排在前面：依据长度、未知词、最高得分或一级标签。某个标签在此处的出现频率是开发集的 n 倍，就按少见 n 倍计算。",
  rare: (traits) => `在开发集上少见：${traits.join("；")}`,
  traits: {
    text_length: (bin, share) => `不超过 ${count(bin)} 个字符（开发集中同样少见的占 ${share}）`,
    unknown_share: (bin, share) => `未知词不超过 ${percent(Number(bin), 0)}%（开发集中同样少见的占 ${share}）`,
    top_score: (bin, share) => `最高得分不超过 ${bin}（开发集中同样少见的占 ${share}）`,
    top_label: (bin, share, here) => `“${bin}”，占此处文本的 ${here}（开发集中同样少见的占 ${share}）`,
  },
  noFirstLabel: "没有标签",
  otherLabel: "其他标签",
  textsKept: (most) => `程序发来的文本中，最多保留 ${count(most)} 条供人查看。`,
  showKept: "取来查看",
  noneKept: "还没有保留任何文本。",
  keptName: "程序发来的文本",
});
