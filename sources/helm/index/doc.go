// Package index reads and writes the index.yaml of a chart repository
// (helm.sh/docs/topics/chart_repository).
//
// It is read as helm reads it (pkg/repo/v1): as YAML, which includes JSON. A
// file without apiVersion is not an index. An entry that is not a chart is left
// out with a remark. The first of two entries with one version counts. Only
// entries of requested charts are decoded, because public indexes have more
// than ten thousand.
//
// A written entry has upstream's fields unchanged, as far as helm knows them
// (it refuses an index with others), with another URL and the digest of the
// package.
package index
