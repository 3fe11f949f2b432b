"""A language model made in a test: it answers one text to whatever it is asked."""

from pathlib import Path


def save_llm(folder: Path, answer: str) -> Path:
    """Save a GPT-2 that generates `answer` and then ends, with a tokenizer to which `answer` is one token.

    Its blocks add nothing, its embeddings are one-hot and its head is a table of which token follows which.
    """
    import torch
    from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers
    from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

    words = ["[UNK]", "[END]"]
    tokenizer = Tokenizer(models.WordLevel({word: row for row, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.add_tokens([AddedToken(answer, normalized=False)])
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="[UNK]", eos_token="[END]", pad_token="[END]", model_max_length=20_000
    )
    # Of what it is asked the model needs to know only that there was something.
    fast.chat_template = "{% for message in messages[-1:] %}asked{% endfor %}"
    size = 4
    config = GPT2Config(
        vocab_size=3, n_embd=size, n_layer=1, n_head=1, n_positions=20_000, eos_token_id=1, bos_token_id=1,
        pad_token_id=1, tie_word_embeddings=False,
    )  # fmt: skip
    model = GPT2LMHeadModel(config)
    with torch.no_grad():
        for block in model.transformer.h:
            for parameter in block.parameters():
                parameter.zero_()
        model.transformer.wpe.weight.zero_()
        model.transformer.wte.weight.copy_(torch.eye(size)[:3])
        # [UNK] -> the answer, the answer -> [END].
        model.lm_head.weight.zero_()
        model.lm_head.weight[2, 0] = model.lm_head.weight[1, 2] = model.lm_head.weight[1, 1] = 10.0
    model.generation_config.do_sample = False
    model.save_pretrained(folder)
    fast.save_pretrained(folder)
    return folder
