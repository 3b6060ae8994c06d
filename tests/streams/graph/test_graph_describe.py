"""Pictures of a plan with a repartition: two sub-topologies, one store."""

from __future__ import annotations

import json
from textwrap import dedent

import pytest

from streams import App
from streams.graph.definitions import StoreDef, TopicDef
from streams.graph.describe import as_json, text
from streams.graph.draw import dot, mermaid
from streams.graph.nodes import AggregateNode, NamedAggregates, RepartitionNode, SinkNode
from streams.graph.plan import Graph, Plan, plan


@pytest.fixture
def counted() -> Plan:
    graph = Graph()
    lines = graph.add_topic(TopicDef(name="lines"))
    by_word = graph.add_topic(TopicDef(name="app-by-word-repartition", internal=True))
    store = graph.add_store(StoreDef(name="counts", changelog="app-counts-changelog"))
    source = graph.source(lines, "app.py:1")
    graph.add_node(RepartitionNode(name="by-word", parents=(source,), topic=by_word))
    behind = graph.source(by_word, "app.py:2")
    count = AggregateNode(name="count", parents=(behind,), store=store, fold=NamedAggregates((), scalar=True))
    graph.add_node(count)
    graph.add_node(SinkNode(name="out", parents=(count,), topic=graph.add_topic(TopicDef(name="totals"))))
    return plan(graph, "app")


def test_a_pattern_without_topics_is_a_source() -> None:
    app = App("logs")
    app.stream(pattern="logs-.*", name="logs").to("all")
    assert "    Source: logs (topics: logs-.*)\n      --> logs-to-all\n    Sink: " in text(app.plan())


def test_text_is_what_kafka_streams_prints(counted: Plan) -> None:
    assert text(counted) == dedent("""\
        Topologies:
           Sub-topology: 0
            Source: lines-source (topics: [lines])
              --> by-word
            Sink: by-word (topic: app-by-word-repartition)
              <-- lines-source

           Sub-topology: 1
            Source: app-by-word-repartition-source (topics: [app-by-word-repartition])
              --> count
            Processor: count (stores: [counts])
              --> out
              <-- app-by-word-repartition-source
            Sink: out (topic: totals)
              <-- count

        """)


def test_steps_stand_as_kafka_streams_orders_them() -> None:
    """By the size of what hangs on them, counted along each way, then by name (`NodeComparator`)."""
    app = App("app")
    lines = app.topic("lines").stream()
    left, right = lines.filter(bool, name="z-left"), lines.filter(bool, name="a-right")
    left.merge(right, name="all").to("out", name="sink")
    lines.to(lambda key, value: "lines", name="back")
    assert app.describe() == dedent("""\
        Topologies:
           Sub-topology: 0
            Source: lines-source (topics: [lines])
              --> a-right, z-left, back
            Processor: a-right (stores: [])
              --> all
              <-- lines-source
            Processor: z-left (stores: [])
              --> all
              <-- lines-source
            Processor: all (stores: [])
              --> sink
              <-- a-right, z-left
            Sink: back (extractor class: <lambda>)
              <-- lines-source
            Sink: sink (topic: out)
              <-- all

        """)


def test_mermaid(counted: Plan) -> None:
    assert mermaid(counted) == dedent("""\
        flowchart LR
          n0(["lines"])
          n1(["app-by-word-repartition"])
          n2(["totals"])
          n3[("counts")]
          subgraph s0 ["sub-topology 0"]
            n4["source: lines-source"]
            n5["repartition: by-word"]
          end
          subgraph s1 ["sub-topology 1"]
            n6["source: app-by-word-repartition-source"]
            n7["aggregate: count"]
            n8["sink: out"]
          end
          n0 --> n4
          n4 --> n5
          n5 --> n1
          n1 --> n6
          n6 --> n7
          n7 --> n3
          n7 --> n8
          n8 --> n2""")


def test_dot_names_every_step_and_arrow(counted: Plan) -> None:
    lines = dot(counted).splitlines()
    assert lines[0] == "digraph topology {" and lines[-1] == "}"
    assert '  n3 [label="counts", shape=cylinder];' in lines
    assert sum("->" in line for line in lines) == 8


def test_json_holds_what_the_text_says(counted: Plan) -> None:
    first, second = json.loads(as_json(counted))["sub_topologies"]
    assert [step["name"] for step in first["steps"]] == ["lines-source", "by-word"]
    assert second["steps"][1]["stores"] == ["counts"]


def test_a_global_table_is_a_sub_topology_without_tasks() -> None:
    app = App("app")
    app.topic("planes").global_table()
    app.topic("lines").stream().to("out")
    assert app.describe().endswith(
        "   Sub-topology: 1 for global store (will not generate tasks)\n"
        "    Source: planes-global-source (topics: [planes])\n"
        "      --> planes-global-table\n"
        "    Processor: planes-global-table (stores: [planes])\n"
        "      --> none\n"
        "      <-- planes-global-source\n"
    )
    assert json.loads(as_json(app.plan()))["global_tables"][0]["store"] == "planes"
