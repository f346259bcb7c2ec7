// Package complete is the skeleton of every kind's Check: does a mirror have all that
// the real clients ask for, by their rules?
//
// Signatures are not verified again. Bytes are compared with the signed root of the
// bundle, and clients verify by themselves. A file that somebody would miss is an
// error that matches bundle.ErrIncomplete and names the client; a file that is not
// what an index states matches bundle.ErrCorrupt. All are reported, with the source.
package complete
