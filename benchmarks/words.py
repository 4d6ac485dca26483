"""The words of the tables, in English and in Chinese."""

from __future__ import annotations

from typing import Callable

Say = Callable[[str], str]
"""From English to the table's language."""

CHINESE = {
    "one text per request": "每个请求一条文本",
    "this server": "本服务",
    "baseline": "基线",
    "ratio": "比值",
    "lowest to highest": "最低至最高",
    "texts per second, {} concurrent": "每秒文本数，{} 个并发请求",
    "median latency, ms, {} concurrent": "延迟中位数（毫秒），{} 个并发请求",
    "share of what the predictor in process does": "占进程内预测器吞吐量的比例",
    "share of what the matrix products permit": "占矩阵乘法上限的比例",
    "{}, {} concurrent": "{}，{} 个并发请求",
    "of the limit": "占上限的比例",
    "limit, GFLOP/s": "上限，GFLOP/s",
    "predictor, {}": "预测器，{}",
    "training": "训练",
    "what grows": "增长的量",
    "from": "从",
    "to": "到",
    "time grows with its power": "时间随其增长的幂次",
    "memory grows with its power": "内存随其增长的幂次",
    "text length": "文本长度（词元）",
    "labels": "标签数",
    "texts per call": "每次调用的文本数",
    "requests under way": "并发请求数",
    "rows, predict": "预测文件的行数",
    "rows, evaluate": "评估文件的行数",
    "{}, {} cores, commit {}, load average before: {}": "{}，{} 核，提交 {}，测量前的平均负载 {}",
    "too noisy to tell": "噪声过大，不作结论",
    "texts per second beside": "每秒文本数（对照对象）",
    "ours": "本项目",
    "theirs": "对方",
    "baseline, {} concurrent": "基线，{} 个并发请求",
    "baseline, {} concurrent with {} texts each": "基线，{} 个并发请求，每个 {} 条文本",
    "LitServe, {} concurrent": "LitServe，{} 个并发请求",
    "transformers, {}, in process": "transformers，{}，进程内",
    "processor": "处理器",
    "model": "模型",
    "ratio to the baseline": "与基线的比值",
    "of the limit, served": "服务占上限的比例",
    "of the limit, in process": "进程内占上限的比例",
    "one text, ms": "一条文本（毫秒）",
    "more than in process, ms": "比进程内多出（毫秒）",
    "{}, width {}": "{}，宽度 {}",
    "Paddle Serving's baseline, {} concurrent": "Paddle Serving 的基线，{} 个并发请求",
}


def english(text: str) -> str:
    return text


def chinese(text: str) -> str:
    return CHINESE[text]
