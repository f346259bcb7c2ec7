// Package collect turns the specs of a set into the lists and volumes of a bundle.
//
// Resolve asks every kind for its plan. Survey is the one door that every planned
// artifact passes before anything is fetched. Collect fetches what the base does
// not have and writes it, in one pass, and is the only place that compares what
// arrived with what was planned.
package collect
