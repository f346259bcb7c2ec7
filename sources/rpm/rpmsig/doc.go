// Package rpmsig checks the signatures of an rpm package while its bytes pass by.
//
// A package counts as signed by rpm's rule for "_pkgverify_level signature",
// which dnf asks for with gpgcheck=1: its signatures have to reach header and
// payload. That is the case with a signature over both (the form before rpm 4.14:
// RPMSIGTAG_PGP, RPMSIGTAG_GPG), and with one over the header (RPMSIGTAG_RSA,
// RPMSIGTAG_DSA, RPMSIGTAG_OPENPGP) if the header has a digest of the payload.
// A signature over the header alone states nothing about what is installed.
// Every digest that is there has to fit, signed or not.
//
// The libraries for rpm headers take offsets and sizes from the file as they
// are; one that is not what it states it is ends them, or fills memory. The
// little of the format that is needed is read here, within bounds.
package rpmsig
