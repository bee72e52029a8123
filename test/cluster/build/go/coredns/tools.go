//go:build tools

// Package coredns pins a program of the test cluster.
package coredns

import _ "github.com/coredns/coredns"
