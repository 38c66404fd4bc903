"""Wire formats, one module each: pure functions over plain dicts and the SDKs' own objects."""
