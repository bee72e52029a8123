//go:build tools

// Package helm4 pins a program of the test cluster.
package helm4

import _ "helm.sh/helm/v4/cmd/helm"
