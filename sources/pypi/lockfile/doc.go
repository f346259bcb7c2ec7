// Package lockfile reads the files in which people write what they want of
// Python packages: pip's requirements.txt, and lock files, which name exact
// files: pylock.toml 1.0 (PEP 751), uv.lock version 1, poetry.lock 2.1 and
// pdm.lock 4.5.
//
// It reads text alone and asks nobody: a requirements file's own choice of an
// index is refused, and so is everything that is no file of a package (a
// repository, a folder, something to be built in place). Lock.For returns what a Lock
// wants for a target; all extras and dependency groups of a lock count.
package lockfile
