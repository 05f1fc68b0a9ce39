"""Does transformers compute from a Tercet checkpoint what Tercet computes?

    cargo run --release --manifest-path bench/Cargo.toml -p engine-bench -- interchange DIR
    python bench/peers/check_checkpoint.py DIR

Compares, in float32, the logits of the last position, the log-probability of every token, and a greedy
continuation of every case in DIR/expected.jsonl.
"""

import json
import os
import pathlib
import sys

os.environ.setdefault("HF_HUB_OFFLINE", "1")

TOLERANCE = 1e-4


def main(folder):
    import torch
    from transformers import AutoModelForCausalLM, __version__

    model, loading = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, output_loading_info=True)
    model.eval()
    # One extra weight or one made up afresh would go unnoticed otherwise.
    faults = [f"{what}: {names}" for what, names in loading.items() if names]
    cases, worst_logits, worst_logprobs = 0, 0.0, 0.0
    for line in (pathlib.Path(folder) / "expected.jsonl").read_text(encoding="utf-8").splitlines():
        case = json.loads(line)
        cases += 1
        ids_L = torch.tensor(case["ids"][: len(case["logprobs"])])
        with torch.no_grad():
            logits_LV = model(ids_L[None]).logits[0]
        ours_V = torch.tensor(case["last_logits"])
        gap = ((logits_LV[-1] - ours_V).norm() / ours_V.norm()).item()
        worst_logits = max(worst_logits, gap)
        theirs_L = logits_LV.log_softmax(-1)[:-1].gather(1, ids_L[1:, None])[:, 0]
        ours_L = torch.tensor(case["logprobs"])[1:]
        if len(ours_L):
            worst_logprobs = max(worst_logprobs, (theirs_L - ours_L).abs().max().item())
        new = model.generate(
            ids_L[None],
            attention_mask=torch.ones(1, len(ids_L), dtype=torch.long),
            do_sample=False,
            max_new_tokens=24,
        )[0, len(ids_L) :].tolist()
        if new != case["greedy"]:
            faults.append(f"greedy after {case['text']!r}: theirs {new}, ours {case['greedy']}")
    if not worst_logits < TOLERANCE or not worst_logprobs < TOLERANCE:
        faults.append(f"numbers apart by more than {TOLERANCE}")
    for fault in faults:
        print(fault)
    print(
        f"transformers {__version__}: {cases} texts, logits apart by {worst_logits:.1e} (relative), "
        f"log-probabilities by {worst_logprobs:.1e} at most, {len(faults)} faults"
    )
    return not faults


if __name__ == "__main__":
    sys.exit(0 if main(sys.argv[1]) else 1)
