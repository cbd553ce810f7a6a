"""Which versions can work together."""

from __future__ import annotations

import subprocess
import sys

import pytest

from quiver_proto.errors import IncompatibleVersions
from quiver_proto.versions import check, compare, local_versions

OURS = {"quiver": "0.1.3", "protocol": "1", "python": "3.11.7", "pyarrow": "24.0.0", "cloudpickle": "3.1.2"}


@pytest.mark.parametrize(
    "change",
    [{"quiver": "0.1.9"}, {"python": "3.11.2"}, {"pyarrow": "24.9.1"}, {"cloudpickle": "3.2.0"}, {"datafusion": "50.1"}, {"numpy": "1"}],
    ids=str,
)
def test_what_is_no_real_difference(change):
    check("the manager", OURS, OURS | change)


@pytest.mark.parametrize(
    "change", [{"quiver": "0.2.0"}, {"protocol": "2"}, {"python": "3.12.7"}, {"pyarrow": "25.0.0"}, {"cloudpickle": "4.0.0"}], ids=str
)
def test_what_can_not_work_together_is_told_in_a_table_of_both_sides(change):
    with pytest.raises(IncompatibleVersions) as caught:
        check("the manager at h:1", OURS, OURS | change)
    (component, theirs) = next(iter(change.items()))
    row = next(line for line in str(caught.value).splitlines() if line.strip().startswith(component))
    assert row.split() == [component, OURS[component], theirs, "differs"]
    assert "the manager at h:1" in str(caught.value)
    assert sum("differs" in line for line in str(caught.value).splitlines()) == 1


def test_datafusion_counts_only_where_both_use_it():
    check("x", OURS | {"datafusion": "50.1.0"}, OURS)
    with pytest.raises(IncompatibleVersions):
        check("x", OURS | {"datafusion": "50.1.0"}, OURS | {"datafusion": "50.1.1"})


def test_a_peer_that_does_not_say_its_protocol_is_refused():
    with pytest.raises(IncompatibleVersions):
        check("x", OURS, {})


def test_rows_come_in_our_order_and_then_theirs():
    assert [row[0] for row in compare(OURS, {"datafusion": "50", **OURS})] == [*OURS, "datafusion"]


def test_local_versions_are_compatible_with_themselves_and_import_nothing():
    mine = local_versions()
    check("myself", mine, mine)
    assert {"quiver", "protocol", "python", "pyarrow", "cloudpickle", "datafusion"} == mine.keys()
    code = "import sys; from quiver_proto.versions import local_versions; local_versions(); print('datafusion' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "False\n"
