"""The variables that all dashboards have."""

from deploy.grafana.panels import Variable
from penstock_server.telemetry.metrics import names

JOB = Variable("job", "Job", f"label_values({names.BUILD_INFO.name}, job)")
INSTANCE = Variable(
    "instance", "Instance", f'label_values({names.BUILD_INFO.name}{{job=~"$job"}}, instance)'
)
