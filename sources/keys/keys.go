// Package keys makes and opens the private keys of the connected side: the
// exporter's, which signs bundles, and the site's, which re-signs metadata
// that was rebuilt for a selection (OpenPGP).
//
// Exporter keys are what cosign writes: PEM "ENCRYPTED SIGSTORE PRIVATE KEY",
// scrypt and NaCl secretbox over PKCS #8, so that keys made by either program
// open in the other. A passphrase comes from the environment, a descriptor or
// a terminal, never from an argument: arguments are in every process list.
//
// It is not the place of the importing side's trust (package verify), nor of
// a mirror's receipt key, which has no passphrase (bundle.GenerateKey).
package keys
