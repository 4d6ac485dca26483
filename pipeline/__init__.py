"""The core that everything else imports: dataset, hierarchy, tokenisation, decoding, metrics, bundle, runtimes."""
