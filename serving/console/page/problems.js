// Refusals in Chinese: by what the console says in English, with {} for what it names. Other messages stay as they are.
const PROBLEMS = [
  // of the page itself
  ["the console does not answer; is it running?", "控制台没有响应，请确认它正在运行"],
  ["the console answered with status {}, and did not say why", "控制台返回状态码 {}，没有说明原因"],
  ["the console's answer cannot be read", "无法读取控制台的回答"],
  ["the text is larger than a request may be; shorten it", "文本超过一次请求的上限，请缩短"],
  // who may ask, and how much
  ["this is not the token", "口令不正确"],
  ["a token is needed: Authorization: Bearer TOKEN, or sign in on the page", "需要口令：请在页面上登录"],
  ["sign in first: {}", "请先登录：{}"],
  ["corrections are kept by the name that the proxy says", "纠正按代理给出的名字保存"],
  ["texts of others are shown to whom the proxy names", "他人的文本只给代理说明了名字的人看"],
  ["another console keeps texts in {}; name another --keep_texts", "另一个控制台正在 {} 中保存文本，请换一个 --keep_texts"],
  ["--keep_texts {} is a link, or no file; name a file", "--keep_texts {} 是链接或不是文件，请指定一个文件"],
  ["--keep_texts {} cannot be written: {}", "无法写入 --keep_texts {}：{}"],
  ["--keep_texts {}:{} is no text that was kept ({}); name another file", "--keep_texts {}:{} 不是保存下来的文本（{}），请换一个文件"],
  ["the console is not asked by the name {}; --allowed_host adds one", "控制台不接受以 {} 为名的访问；可用 --allowed_host 添加"],
  ["a page of another site may not ask the console", "其他网站的页面不能访问控制台"],
  ["send {}, with the header Content-Type: {}", "请发送 {}，并带上请求头 Content-Type: {}"],
  ["only the proxy says who asks; leave out the header {}", "访问者的名字只能由代理给出，请去掉请求头 {}"],
  ["the header {} stands {} times; let the proxy replace that of the caller", "请求头 {} 出现了 {} 次，请让代理替换访问者自带的那一个"],
  ["the header {} is not UTF-8", "请求头 {} 不是 UTF-8"],
  ["the request ended before its body did", "请求没有发送完就结束了"],
  ["the request is larger than {} bytes; send its texts in several", "请求超过 {} 字节，请分几次发送"],
  ["the request took more than {} s to arrive", "请求在 {} 秒内没有到齐"],
  ["the headers took more than {} s to arrive", "请求头在 {} 秒内没有到齐"],
  ["too many large requests arrive at once; send this one again later", "同时到达的大请求太多，请稍后再试"],
  ["there are too many connections; ask again later", "连接太多，请稍后再试"],
  ["the body is no JSON that can be used: {}", "请求内容不是可用的 JSON：{}"],
  // texts, options and corrections
  ["text is empty", "文本为空"],
  ["text {} has only white space and control characters", "文本 {} 只有空白和控制字符"],
  ["{}; leave it out or send a text with visible characters", "{}；请去掉它，或发送有可见字符的文本"],
  ["text of {} characters is longer than the limit of {}; shorten it or send it in parts", "文本有 {} 个字符，超过上限 {}；请缩短，或分段发送"],
  ["{} holds half of a surrogate pair at character {}; correct that character", "{} 的第 {} 个字符只有半个代理对，请改正"],
  ["a text is needed, not {} {}", "需要文本，而不是 {} {}"],
  ["{} texts are to be explained; ask for at most {} at once", "要解释 {} 条文本，一次最多 {} 条"],
  ["{} texts get {} scores each; ask for at most {} of them at once", "{} 条文本每条有 {} 个得分，一次最多 {} 条"],
  ["{} holds {} texts; give 1 to {}", "{} 含 {} 条文本，应为 1 到 {} 条"],
  ["request parameter {} is {}; give a number between 0 and 1", "参数 {} 为 {}，应为 0 与 1 之间的数"],
  ["request parameter {} is {}; give a whole number of at least 1", "参数 {} 为 {}，应为不小于 1 的整数"],
  ["request parameter {} is {}; give a name", "参数 {} 为 {}，应为一个名称"],
  ["request parameter {} is {}; give true or false", "参数 {} 为 {}，应为 true 或 false"],
  ["the request has {} parameters; give at most {}", "请求有 {} 个参数，最多 {} 个"],
  ["unknown request parameter {}; did you mean {}?", "未知参数 {}，是否指 {}？"],
  ["request parameter promise has cut-offs of its own; leave out {}", "参数 promise 自带截断值，请去掉 {}"],
  ["promise is {}; {}", "promise 为 {}；{}"],
  ["this model can promise {}", "此模型可以承诺 {}"],
  ["this model promises nothing; export it with --promise", "此模型没有承诺，请用 --promise 重新导出"],
  ["unknown decoding policy {}; choose one of {}", "未知的解码策略 {}，请从 {} 中选择"],
  ["who is missing; give a name, by which several people are told apart", "缺少名字：请填写，用来区分各人的纠正"],
  ["who is {}, and the proxy says {}; leave out who", "名字为 {}，而代理给出的是 {}；请去掉名字"],
  ["who is {}; give a name of 1 to {} characters", "名字为 {}，应有 1 到 {} 个字符"],
  ["{} is no label of the model; choose one of GET /model", "{} 不是模型的标签，请从模型的标签中选择"],
  ["not kept: {} cannot be written ({})", "未能保存：无法写入 {}（{}）"],
  ["{}: List should have at most {} items after validation, not {}", "{}：最多 {} 项，而不是 {} 项"],
  ["other files are being worked on; send this one again later", "正在处理其他文件，请稍后再发送"],
  ["{} takes longer than {} s; split it", "处理 {} 超过 {} 秒，请拆分"],
  ["{} cannot be used: the process that worked on it ended with status {}; split it", "无法处理 {}：处理它的进程以状态 {} 结束，请拆分"],
  ["{} needs too much memory; split it, or take .csv", "处理 {} 需要的内存太多，请拆分，或改用 .csv"],
  ["{} has more than {} cells; take .csv or .jsonl, or split it", "{} 超过 {} 个单元格，请改用 .csv 或 .jsonl，或拆分"],
  // what answers
  ["texts is {}, a {}; give a list of texts", "texts 是 {}，类型为 {}；请给出文本的列表"],
  ["other versions answer in turn; ask again when one is live", "不同的版本轮流回答，请等一个版本上线后再试"],
  ["a bundle with other labels was published between two requests; ask again", "两次请求之间发布了标签不同的模型包，请再试一次"],
  ["the server is overloaded: as many texts as it takes on, {}, are under way", "服务器过载：正在处理的文本已达上限 {} 条"],
  ["overloaded: {}; ask again later", "过载：{}；请稍后再试"],
  ["{} calls are under way", "有 {} 个调用正在进行"],
  ["the request did not arrive in time", "请求没有及时到齐"],
  ["too many large requests are under way", "正在处理的大请求太多"],
  ["too many slow requests are under way", "正在处理的慢请求太多"],
  ["{} is overloaded ({}); send less at once, allow more retries and time, or add a server", "{} 过载（{}）；请一次少发一些，稍后再试，或增加服务器"],
  ["{} is not ready ({}); ask again in a moment", "{} 尚未就绪（{}），请稍候再试"],
  ["no TLS connection to {} ({}); check the TLS options, and that the server uses TLS at all", "无法与 {} 建立 TLS 连接（{}）；请检查 TLS 选项，以及服务器是否使用 TLS"],
  ["no gRPC connection to {} ({}); check that this is the server's gRPC port, and whether it wants TLS or a client certificate", "无法与 {} 建立 gRPC 连接（{}）；请检查这是否为服务器的 gRPC 端口，以及是否需要 TLS 或客户端证书"],
  ["no Triton server answers at {} ({}); start one with `make serve`, or check the address{}", "{} 处没有 Triton 服务器响应（{}）；请用 `make serve` 启动，或检查地址{}"],
  ["; it was asked through the proxy that {} names", "；访问经过了 {} 指定的代理"],
  ["{} gave no answer within {} s; allow more time, or ask for less at once", "{} 在 {} 秒内没有回答；请多等一会儿，或一次少发一些"],
  ["the answer lacks the output {}; the server serves another model", "回答缺少输出 {}，服务器运行的是另一个模型"],
  ["{} does not say which model it serves; it is of an earlier release, or no server of this project: publish the bundle again", "{} 没有说明运行的是哪个模型；它来自旧版本，或不是本项目的服务器：请重新发布模型包"],
  ["what {} says of the model that it serves cannot be read: {}", "无法读取 {} 对其模型的说明：{}"],
  ["{} does not tell its metrics ({}); name another address for them", "{} 不提供指标（{}）；请换一个指标地址"],
  ["{} answers {}, and no metrics; name another address for them", "{} 返回 {}，没有指标；请换一个指标地址"],
  ["what the server tells as its metrics cannot be read: {}", "无法读取服务器的指标：{}"],
  // files
  ["cannot read {}: {}", "无法读取 {}：{}"],
  ["what {} holds takes more than {} bytes; split it", "{} 的内容超过 {} 字节，请拆分"],
  ["{} holds more than {} bytes of text, as UTF-8; split it", "{} 的文本按 UTF-8 超过 {} 字节，请拆分"],
  ["{} holds more than {} texts; split it", "{} 的文本超过 {} 条，请拆分"],
  ["{} holds no text there", "{} 的该处没有文本"],
  ["{} has no column {}; it has {}", "{} 没有第 {} 列，共 {} 列"],
  ["{} has {} columns; save those that are needed, at most {}", "{} 有 {} 列，请只保留需要的列，最多 {} 列"],
  ["{} is not {} throughout ({}); choose another encoding", "{} 并非全部为 {}（{}），请选择其他编码"],
  ["{} is not {} throughout ({}); give an encoding", "{} 并非全部为 {}（{}），请选择编码"],
  ["an encoding {} is not known; give one such as utf-8, gb18030, big5 or cp1252", "编码 {} 未知，请选择 utf-8、gb18030、big5 或 cp1252 等"],
  ["byte 0x{} is neither UTF-8 nor plausible GB18030; give an encoding, for example big5, shift_jis or cp1252, or save the file as UTF-8", "字节 0x{} 既不是 UTF-8，也不像 GB18030；请选择编码，如 big5、shift_jis 或 cp1252，或将文件另存为 UTF-8"],
  ["{} is protected by a password; save a copy without one", "{} 有密码保护，请另存一份没有密码的"],
  ["{} is in the old .xls format; save it as .xlsx or .csv with a spreadsheet program", "{} 是旧的 .xls 格式，请用电子表格软件另存为 .xlsx 或 .csv"],
  ["{} is a page or a document, whatever its name says; save it as .xlsx or .csv", "{} 实际是网页或文档，请另存为 .xlsx 或 .csv"],
  ["{} is one JSON array; write one object per line (JSON lines), for example with jq -c '.[]'", "{} 是一个 JSON 数组；请每行写一个对象（JSON lines），例如用 jq -c '.[]' 转换"],
  ["the row has {} cells and the first row {}", "该行有 {} 个单元格，而首行有 {} 个"],
  ["the row ends after {} cells, and {} are needed", "该行只有 {} 个单元格，需要 {} 个"],
  ["{}; put cells that hold line breaks in quotation marks", "{}；含换行的单元格请加引号"],
  ["{}; put cells that hold {} in quotation marks", "{}；含分隔符（{}）的单元格请加引号"],
  ["the row that begins here cannot be read ({}): a quotation mark opens a cell and is not closed before a delimiter; write a mark within a cell twice", "无法读取从这里开始的行（{}）：单元格以引号开头，在分隔符之前没有结束；单元格内的引号请写两次"],
  ["the line holds a NUL byte; remove it, or give an encoding if the file is UTF-16 or UTF-32", "该行含有 NUL 字节；请去掉，文件若为 UTF-16 或 UTF-32 请选择编码"],
  ["a JSON object is needed, not {}", "需要 JSON 对象，而不是 {}"],
  ["the line is no JSON ({}); write one object per line", "该行不是 JSON（{}），请每行写一个对象"],
  ["column {} is a list; a text is needed", "列 {} 是列表，需要文本"],
  ["column {} holds the error {}; correct the formula, or empty the cell", "列 {} 含有错误值 {}；请改正公式，或清空单元格"],
  ["column {} holds a formula without its value; open the workbook in a spreadsheet program and save it again", "列 {} 含有没有保存结果的公式；请用电子表格软件打开并重新保存"],
  ["{} has no worksheet", "{} 没有工作表"],
  ["{} has no sheet {}; give --sheet one of {}, or a number up to {}", "{} 没有工作表 {}；有 {}，或给出不超过 {} 的序号"],
  ["{} cannot be read as a workbook ({}); open it in a spreadsheet program and save it as .xlsx or .csv", "无法将 {} 读作工作簿（{}）；请用电子表格软件打开并另存为 .xlsx 或 .csv"],
  ["{} is larger than a workbook may be ({}); save the sheet as .csv", "{} 超过工作簿的上限（{}），请将工作表另存为 .csv"],
  ["{} MB when it is unpacked", "解压后 {} MB"],
  ["{} parts", "{} 个部分"],
  ["{} cells and texts", "{} 个单元格和文本"],
  ["{} formats and the like", "{} 个格式之类"],
  ["{} columns", "{} 列"],
  ["{} declares XML entities, which no spreadsheet program does; save the sheet as .csv", "{} 声明了 XML 实体，电子表格软件不会这样做；请将工作表另存为 .csv"],
  ["{} is damaged: it has a row {}; save the sheet as .csv", "{} 已损坏：有一行为 {}；请将工作表另存为 .csv"],
  ["{} is damaged: it has a cell {}; save the sheet as .csv", "{} 已损坏：有一个单元格为 {}；请将工作表另存为 .csv"],
  ["{} is damaged: row {} has cell {} twice or out of order; open it in a spreadsheet program and save it again", "{} 已损坏：第 {} 行的单元格 {} 重复或次序不对；请用电子表格软件打开并重新保存"],
  ["{} is {}; save it as .xlsx or .csv", "{} 是{}，请另存为 .xlsx 或 .csv"],
  ["a binary workbook (.xlsb)", "二进制工作簿（.xlsb）"],
  ["a document of OpenDocument, such as .ods", "OpenDocument 文档（如 .ods）"],
  ["{} is empty", "{} 为空"],
  ["answer {} has a text of {} characters, and a cell of a workbook holds {}; take .csv or .jsonl", "第 {} 条结果的文本有 {} 个字符，而工作簿的单元格最多 {} 个；请下载 .csv 或 .jsonl"],
  // how a file was read
  ["a text per line, {}", "每行一条文本，{}"],
  ["text with {} between cells, {}", "以 {} 分隔单元格的文本，{}"],
  ["commas", "逗号"],
  ["semicolons", "分号"],
  ["tabs", "制表符"],
  ["{}, lines end with CR", "{}，以 CR 换行"],
  ["UTF-8 with a byte order mark", "带 BOM 的 UTF-8"],
  ["workbook, sheet {}", "工作簿，工作表 {}"],
  ["{}, beside {}", "{}，另有 {}"],
  ["the macros of the workbook are passed over", "忽略工作簿中的宏"],
  ["formulas of which the saved value was taken: {}", "取保存结果的公式：{} 个"],
  ["{} cells that are merged with one above have its text", "与上方合并的 {} 个单元格取其文本"],
];
// What may stand before one of them.
const PLACES = [
  [/^row (\d+): /, "第 {} 行："],
  [/^(.+?):(\d+): /, "{} 第 {} 行："],
  [/^(.+?): /, "{}："],
];

let patterns = null;

// A message in the page's language, as far as it is known.
function wording(message) {
  return language === "zh" ? inChinese(message) ?? message : message;
}

function inChinese(message) {
  patterns ??= PROBLEMS.map(([english, chinese]) => [new RegExp(`^${english.replace(/[.*+?^$()|[\]\\]/g, "\\$&").replaceAll("{}", "([^]*?)")}$`), chinese]);
  for (const [pattern, chinese] of patterns) {
    const found = pattern.exec(message);
    if (found) return filled(chinese, found.slice(1).map((value) => inChinese(value) ?? value));
  }
  for (const [pattern, chinese] of PLACES) {
    const found = pattern.exec(message);
    const rest = found && inChinese(message.slice(found[0].length));
    if (rest) return filled(chinese, found.slice(1)) + rest;
  }
  return null;
}

function filled(template, values) {
  let next = 0;
  return template.replaceAll("{}", () => values[next++]);
}
