"""What deploy/ has for containers and Kubernetes: valid by the schemas, and telling us what it is meant to."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support import ROOT

DEPLOY = ROOT / "deploy"
validate: Any = pytest.importorskip("kubernetes_validate")
yaml: Any = pytest.importorskip("yaml")
pytestmark = pytest.mark.shown
hadolint = shutil.which("hadolint", path=str(Path(sys.executable).parent))


@pytest.mark.parametrize("file", ["Dockerfile", "injected/Dockerfile"])
@pytest.mark.skipif(hadolint is None, reason="hadolint is not installed")
def test_a_build_file_has_nothing_to_complain_of(file: str) -> None:
    """Hadolint takes it as it is."""
    done = subprocess.run([str(hadolint), DEPLOY / file], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_manifest_follows_the_schema_of_kubernetes() -> None:
    """Each document, strictly: no field that Kubernetes does not know."""
    for document in yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text()):
        validate.validate(document, "1.33", strict=True)


def test_the_operators_resource_has_the_environment_of_a_container() -> None:
    """Its variables follow the schema of Kubernetes, as the operator hands them on; its image is one that `cp` fills."""
    document, program = yaml.safe_load_all((DEPLOY / "instrumentation.yaml").read_text())
    assert (document["apiVersion"], document["kind"]) == ("opentelemetry.io/v1alpha1", "Instrumentation")
    assert set(document["spec"]) == {"exporter", "propagators", "python"}
    python = document["spec"]["python"]
    assert set(python) == {"image", "env"}
    container = {"name": "any", "image": python["image"], "env": python["env"]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "any"}, "spec": {"containers": [container]}}
    validate.validate(pod, "1.33", strict=True)
    validate.validate(program, "1.33", strict=True)
    template = program["spec"]["template"]
    assert (
        template["metadata"]["annotations"]["instrumentation.opentelemetry.io/inject-python"]
        == document["metadata"]["name"]
    )
    (store,) = (each["value"] for each in python["env"] if each["name"] == "HEXR_STORE")
    (asking,) = template["spec"]["containers"]
    assert asking["securityContext"]["readOnlyRootFilesystem"] is True
    assert any(store.startswith(f"{each['mountPath']}/") for each in asking["volumeMounts"])
    for variable in python["env"]:
        if "valueFrom" in variable:
            path = variable["valueFrom"]["fieldRef"]["fieldPath"]
            assert path.removeprefix("metadata.labels['").removesuffix("']") in template["metadata"]["labels"]


def test_a_pod_is_hardened_and_its_labels_say_who_spends() -> None:
    """Read-only root, nobody's user, the image's folder read-only, the store below a volume; agent and tenant by labels."""
    (document,) = yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text())
    pod = document["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    (container,) = pod["containers"]
    for each in (*pod["initContainers"], container):
        assert each["securityContext"]["readOnlyRootFilesystem"] is True
    mounts = {each["mountPath"]: each.get("readOnly", False) for each in container["volumeMounts"]}
    environment = {each["name"]: each for each in container["env"]}
    assert mounts == {"/hexr": True, "/var/lib/hexr": False}
    assert environment["PYTHONPATH"]["value"] == "/hexr/boot"
    assert environment["HEXR_STORE"]["value"] == "/var/lib/hexr/store"
    labels = document["spec"]["template"]["metadata"]["labels"]
    for name in ("HEXR_AGENT_NAME", "HEXR_AGENT_TENANT"):
        path = environment[name]["valueFrom"]["fieldRef"]["fieldPath"]
        assert path.removeprefix("metadata.labels['").removesuffix("']") in labels
