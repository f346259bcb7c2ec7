package bundletest

import "github.com/gapbundle/gapbundle/bundle"

// An OpenPGP key for bundles that publish one; nobody has its private half.
const (
	Fingerprint = "DA0182EE749FC2B78DC86FDC616F36158BE8BD9F"
	PublicKey   = `-----BEGIN PGP PUBLIC KEY BLOCK-----
Comment: example.org

xiYEauaBABu5RrKvZpcFoh5XiDB9DnVR0UI47KXOlguHBNzKoN0N9M0XRXhhbXBs
ZSA8YUBleGFtcGxlLm9yZz7CuQQTGwgAbwWCauaBAAILBwkQYW82FYvovZ81FAAA
AAAAHAAQc2FsdEBub3RhdGlvbnMub3BlbnBncGpzLm9yZ+qLcMGr2pJpBbwqCUQU
xdwCFQgCFgACGQECmwMCHgEWIQTaAYLudJ/Ct43Ib9xhbzYVi+i9nwAAsLSsr7Mx
JuOVPUnnC+QdhZD+JB07/1udjHTSdv9YNQhCQvV/jQOmQepuwNI1NA3P7obqbYf7
3PQ00b9hoWQWwRIGziYEauaBABlyvaB2WP/RYdN1erkEOSwiOYLlUuiHeuzMkox8
8jnlGcKqBBgbCABgBYJq5oEACRBhbzYVi+i9nzUUAAAAAAAcABBzYWx0QG5vdGF0
aW9ucy5vcGVucGdwanMub3JnRZtgedXEjrbIG64xLr+M2AKbDBYhBNoBgu50n8K3
jchv3GFvNhWL6L2fAACwWVqHSh6z6N4m4Pi1xFewSWNXTiKEbFpymR2EmixYsU27
0ytPpENi3QSBtJX1UfoSbV//0jJf+Pji915reg5iTgc=
=Sbv0
-----END PGP PUBLIC KEY BLOCK-----
`
)

// Published declares that key for the mounts, in the file that Keyring has.
func Published(mounts ...string) bundle.PublishedKey {
	return bundle.PublishedKey{Fingerprint: Fingerprint, Role: "upstream", Mounts: mounts, Path: "keys/" + Fingerprint + ".asc"}
}

// Keyring returns the repository of that key's file.
func Keyring() Repository {
	return Repository{Name: "_keys", Kind: "gapbundle", Mount: "keys", Files: map[string]string{Fingerprint + ".asc": PublicKey}}
}
