// Package keyring decides which OpenPGP keys may sign for a source: it loads the keys that
// the spec names, verifies signatures by them, and selects the keys that are published for
// clients.
//
// The rules are the same for every kind. A key that is fetched counts only by its
// fingerprint, because an address proves nothing about who is to be trusted. No key
// of the system, and none that upstream sends along, counts. One of several
// signatures is enough. An expired or revoked key counts for nothing, and neither does a
// signature over MD5, SHA-1 or RIPEMD-160 (package pgpkeys). A signer's clock may be
// 10 seconds ahead. A clear-signed file has nothing outside of the signed block:
// two readers could take it for two different files.
package keyring
