// Package index reads and writes the index.yaml of a chart repository
// (helm.sh/docs/topics/chart_repository).
//
// It is read as helm does (pkg/repo/v1): YAML, or JSON, which is YAML too; an
// index without apiVersion is none; an entry that is no chart is left out with a
// remark; of two entries with one version the first counts. Only the entries of
// charts that are asked for are looked at: public indexes have more than ten
// thousand.
//
// What is written has the fields of an entry as upstream wrote them, as far as
// helm knows them (it refuses an index with others), with another URL and the
// digest of the very bytes.
package index
