"""Write rules.yaml: serving/monitoring/alerts.yml as a PrometheusRule, which the Prometheus operator reads."""

from pathlib import Path

FOLDER = Path(__file__).parent
ALERTS = FOLDER.parents[1] / "monitoring" / "alerts.yml"
HEAD = """\
# Written by write_rules.py from serving/monitoring/alerts.yml.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: text-classifier
  labels: {app: text-classifier}
spec:
"""


def prometheus_rule() -> str:
    """The text of rules.yaml."""
    lines = ALERTS.read_text(encoding="utf-8").splitlines()
    return HEAD + "".join(f"  {line}".rstrip() + "\n" for line in lines)


if __name__ == "__main__":
    (FOLDER / "rules.yaml").write_text(prometheus_rule(), encoding="utf-8")
