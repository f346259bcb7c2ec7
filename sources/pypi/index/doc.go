// Package index reads Python package indexes: the page of a project ("Simple repository
// API"), and the metadata of a file, which is read from the index (PEP 658), by ranges from
// the end of a wheel, or from the whole file, in this order.
//
// A page that is not there is no error: a name may be on another index. Metadata that is
// not valid, or that of another project or version, matches resolve.ErrDiscard: clients
// pass over such a file. A file that is gone or cannot be read is an UnusableError. Files that have to be read whole are put into scratch, checked by
// their digests.
package index
