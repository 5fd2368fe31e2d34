"""Records torch's random numbers: values at chosen places, and the sum of rounded values.

Needs torch 2.15 (float16 and bfloat16 were drawn otherwise before), numpy and torchsde. Writes
random.json beside itself.
"""

import json
import pathlib

import torch
import torchsde

HERE = pathlib.Path(__file__).parent
DTYPES = {"float32": torch.float32, "float64": torch.float64, "float16": torch.float16,
          "bfloat16": torch.bfloat16}
SIZES = [1, 15, 16, 17, 100, 4 * 64 * 64, 1000003]
SEEDS = [0, 42, 2**31 + 5, 2**40 + 1]


def places(size):
    if size <= 17:
        return list(range(size))
    return [0, 7, 8, 15, 16, size // 2, size - 17, size - 16, size - 9, size - 2, size - 1]


def generator(seed):
    return torch.Generator("cpu").manual_seed(seed)


def case(kind, dtype, seed, size):
    g = generator(seed)
    values = getattr(torch, kind)(size, dtype=DTYPES[dtype], generator=g).double()
    # The draw after it shows that as many numbers were used up.
    after = torch.rand(1, dtype=torch.float64, generator=g).item()
    return {"kind": kind, "dtype": dtype, "seed": seed, "size": size, "after": after,
            "values": [values[i].item() for i in places(size)],
            "sum": int((values * 1024).round().sum().item())}


def cases():
    for kind in ("randn", "rand"):
        for dtype in DTYPES:
            for size in SIZES:
                for seed in SEEDS if size < 1000 else SEEDS[1:2]:
                    yield case(kind, dtype, seed, size)


def sequence(seed):
    """Odd counts below 16 leave a normal value behind, which the next call begins with."""
    g = generator(seed)
    return [torch.randn(n, generator=g).tolist() for n in (1, 3, 16, 2, 5)]


def integers(seed, low, high):
    g = generator(seed)
    return {"seed": seed, "low": low, "high": high,
            "values": torch.randint(low, high, (6,), generator=g).tolist()}


def brownian(seed, start, end, times):
    tree = torchsde.BrownianInterval(t0=start, t1=end, size=(20,), dtype=torch.float32,
                                     entropy=seed, tol=1e-6, pool_size=24, halfway_tree=True)
    return {"seed": seed, "start": start, "end": end, "times": times,
            "values": [tree(a, b).tolist() for a, b in times]}


record = {
    "places": {str(size): places(size) for size in SIZES},
    "cases": list(cases()),
    "sequence": {"seed": 9, "values": sequence(9)},
    "integers": [integers(3, 0, 10), integers(3, -5, 2**28), integers(4, 0, 2**63 - 1)],
    "brownian": [
        brownian(5, 0.0291675, 14.6146, [(10.0, 14.6146), (3.25, 10.0), (0.0291675, 3.25), (1.0, 1.0),
                                         (0.5, 0.500001)]),
        brownian(2**40 + 3, 0.1, 80.0, [(0.1, 80.0), (0.3, 79.123457), (12.0, 12.5)]),
    ],
}
(HERE / "random.json").write_text(json.dumps(record) + "\n")
