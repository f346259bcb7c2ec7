// Package rpmsig checks the signatures of an rpm package while its bytes pass by.
//
// A package counts as signed by rpm's rule for "_pkgverify_level signature",
// which dnf demands with gpgcheck=1: its signatures have to cover header and
// payload. That is the case with a signature over both (the form before rpm 4.14:
// RPMSIGTAG_PGP, RPMSIGTAG_GPG), and with one over the header (RPMSIGTAG_RSA,
// RPMSIGTAG_DSA, RPMSIGTAG_OPENPGP) if the header has a digest of the payload.
// A signature over the header alone proves nothing about what is installed.
// Every digest in the package has to match, signed or not.
//
// The libraries for rpm headers trust the offsets and sizes in the file: a
// hostile one makes them crash or fill memory. The few parts of the format that
// are needed are read here, within bounds.
package rpmsig
