from operator import add

from body_bench import Bench, aggregator, fn, items

from quiver_proto import ops


def test_word_count() -> None:
    bench = Bench()
    agg = aggregator(add)
    words = [[(w, 1) for w in "to be or not to be".split()], [(w, 1) for w in "be".split()]]
    table = bench.write(words, aggregate=agg)
    parts = bench.read(table, ops.Combine(agg, True))
    assert sorted(sum(parts, [])) == [("be", 3), ("not", 1), ("or", 1), ("to", 2)]


def test_chain() -> None:
    node = ops.Filter(ops.Map(ops.Items(), fn(lambda x: x + 1)), fn(lambda x: x % 2, "filter"))
    assert Bench().collect(node, items(range(10))) == [1, 3, 5, 7, 9]
