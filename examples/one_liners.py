"""What one line each can do.

driver run examples/one_liners.py
"""

from operator import add

from quiver import Context

with Context(appName="one-liners") as sc:
    numbers = sc.parallelize([4, 9, 1, 7, 3, 8, 2, 6, 5, 10])
    words = sc.parallelize(["to", "be", "or", "not", "to", "be", "that", "is", "the", "question"])

    print("squares      ", numbers.map(lambda x: x * x).collect())
    print("even         ", numbers.filter(lambda x: x % 2 == 0).collect())
    print("sum          ", numbers.reduce(add))
    print("count        ", numbers.count())
    print("largest      ", numbers.max())
    print("first three  ", numbers.take(3))
    print("six largest  ", numbers.takeOrdered(6, key=lambda x: -x))
    print("sorted       ", numbers.sortBy(lambda x: x).collect())
    print("letters      ", words.flatMap(list).distinct().count())
    print("by length    ", sorted(words.map(lambda word: (len(word), 1)).reduceByKey(add).collect()))
    print("pairs        ", words.distinct().cartesian(numbers).count())
    print("joined       ", sorted(words.keyBy(len).join(sc.parallelize([(3, "three"), (8, "eight")])).values().collect()))
