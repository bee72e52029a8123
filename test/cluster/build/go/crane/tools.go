//go:build tools

// Package crane pins a program of the test cluster.
package crane

import _ "github.com/google/go-containerregistry/cmd/crane"
