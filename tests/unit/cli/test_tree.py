from dataclasses import replace

from kubeception.cli.tree import Branch, Use

NODE = Branch("Node", "default", "n", "v1.36.3", "Ready", "10.0.0.1", "", "2026-01-02T03:04:05Z")
POOL = replace(NODE, kind="NodePool", name="p", status="2/2 ready")


def drawn(branch: Branch) -> list[str]:
    return [row.cells[1] for row in branch.rows()]


def test_a_branch_says_where_it_grows_at_any_depth() -> None:
    inner = replace(NODE, kind="TenantCluster", name="inner", children=(POOL,))
    pools = (
        replace(POOL, children=(NODE, replace(NODE, name="m", children=(inner,)))),
        replace(POOL, name="q", children=(NODE,)),
    )
    tree = replace(NODE, kind="TenantCluster", name="acme", children=pools)
    assert drawn(tree) == [
        "acme",
        "├─ p",
        "│  ├─ n",
        "│  └─ m",
        "│     └─ inner",
        "│        └─ p",
        "└─ q",
        "   └─ n",
    ]
    assert [row.name for row in tree.rows()][-2:] == ["acme/q", "acme/q/n"]


def test_siblings_that_are_alike_are_told_apart() -> None:
    assert drawn(replace(POOL, children=(NODE, NODE))) == ["p", "├─ n", "└─ n"]


def test_a_document_has_the_same_shape() -> None:
    found = replace(POOL, children=(NODE,)).document()
    assert (found["kind"], found["status"]) == ("NodePool", "2/2 ready")
    nothing = {"cpu": None, "memory": None, "storage": None}
    assert found["children"][0] == {**vars(NODE), "children": [], "use": nothing, "own": nothing}


def test_what_is_used_adds_up_and_what_nobody_measured_counts_for_nothing() -> None:
    assert (Use(0.25, 1 << 20) + Use(None, 1 << 20, 5 << 20)).told() == ("250m", "2Mi", "5Mi")
    assert Use().told() == ("", "", "")
