// Package pack reads packaged charts (.tgz) and their provenance files (.prov).
// Nothing is rendered and nothing is unpacked to disk.
//
// A package has the form that helm's loader accepts (pkg/chart/loader/archive):
// a gzipped tar whose files are all below one folder. In addition, it is refused
// here if it holds anything but regular files and folders, a path that leads out
// of the folder, a file twice, a file larger than MaxFile, or more than MaxChart
// in all, packages inside of it included.
//
// A packaged chart has its dependencies inside, below charts/, as folders or
// packages. Every dependency that Chart.yaml (or, of apiVersion v1,
// requirements.yaml) and the lock file name has to be there in a version that
// fits: helm refuses the chart otherwise.
//
// A provenance file is a clear-signed text (RFC 9580 section 7): Chart.yaml, a
// line of three dots, and the SHA-256 of the package by its file name
// (helm.sh/docs/topics/provenance).
package pack
