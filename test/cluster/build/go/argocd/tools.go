//go:build tools

// Package argocd pins a program of the test cluster.
package argocd

import _ "github.com/argoproj/argo-cd/v3/cmd"
