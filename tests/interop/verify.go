// Reads what the log published and packed, with Go's own implementation of signed notes and transparency logs.
//
//	verify PUBLISHED PACKAGE KEY
//
// Checks the signed checkpoint (sumdb/note), the root over the published tiles (tlog.TreeHash over tlog.TileHashReader),
// every event's tlog-proof (tlog.CheckRecord) and every step of the chain (tlog.CheckTree). Prints how many of each.
package main

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func must(err error, where string) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", where, err)
		os.Exit(1)
	}
}

func read(path string) []byte {
	raw, err := os.ReadFile(path)
	must(err, path)
	return raw
}

func hash(text, where string) tlog.Hash {
	raw, err := base64.StdEncoding.DecodeString(text)
	must(err, where)
	var found tlog.Hash
	if copy(found[:], raw) != tlog.HashSize || len(raw) != tlog.HashSize {
		must(fmt.Errorf("no hash"), where)
	}
	return found
}

func checkpoint(raw []byte, known note.Verifiers, where string) tlog.Tree {
	opened, err := note.Open(raw, known)
	must(err, where)
	lines := strings.Split(opened.Text, "\n")
	size, err := strconv.ParseInt(lines[1], 10, 64)
	must(err, where)
	return tlog.Tree{N: size, Hash: hash(lines[2], where)}
}

func hashes(lines []string, where string) []tlog.Hash {
	var found []tlog.Hash
	for _, line := range lines {
		if line != "" {
			found = append(found, hash(line, where))
		}
	}
	return found
}

// The published folder as tlog's reader of tiles asks for it.
type tiles struct {
	folder string
}

func (t tiles) Height() int { return 8 }

func (t tiles) ReadTiles(wanted []tlog.Tile) ([][]byte, error) {
	var found [][]byte
	for _, each := range wanted {
		nth := fmt.Sprintf("%03d", each.N%1000)
		for above := each.N / 1000; above > 0; above /= 1000 {
			nth = fmt.Sprintf("x%03d/%s", above%1000, nth)
		}
		path := filepath.Join(t.folder, "tile", strconv.Itoa(each.L), nth)
		if each.W < 256 {
			path += fmt.Sprintf(".p/%d", each.W)
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		found = append(found, raw)
	}
	return found, nil
}

func (t tiles) SaveTiles([]tlog.Tile, [][]byte) {}

func main() {
	published, folder := os.Args[1], os.Args[2]
	key, err := note.NewVerifier(strings.TrimSpace(string(read(os.Args[3]))))
	must(err, "the key")
	known := note.VerifierList(key)

	newest := checkpoint(read(filepath.Join(published, "checkpoint")), known, "the published checkpoint")
	root, err := tlog.TreeHash(newest.N, tlog.TileHashReader(newest, tiles{published}))
	must(err, "the published tiles")
	if root != newest.Hash {
		must(fmt.Errorf("the tiles lead to another root"), "the published tiles")
	}

	tree := checkpoint(read(filepath.Join(folder, "checkpoint")), known, "the checkpoint")
	proofs, err := filepath.Glob(filepath.Join(folder, "events", "*", "*.tlog-proof"))
	must(err, "the proofs")
	for _, path := range proofs {
		parts := strings.SplitN(string(read(path)), "\n\n", 2)
		lines := strings.Split(parts[0], "\n")
		index, err := strconv.ParseInt(strings.TrimPrefix(lines[1], "index "), 10, 64)
		must(err, path)
		under := checkpoint([]byte(parts[1]), known, path)
		if under != tree || lines[0] != "c2sp.org/tlog-proof@v1" {
			must(fmt.Errorf("another checkpoint"), path)
		}
		leaf := tlog.RecordHash(read(strings.TrimSuffix(path, "tlog-proof") + "header"))
		must(tlog.CheckRecord(tlog.RecordProof(hashes(lines[2:], path)), tree.N, tree.Hash, index, leaf), path)
		if tlog.CheckRecord(tlog.RecordProof(hashes(lines[2:], path)), tree.N, tree.Hash, index, root) == nil {
			must(fmt.Errorf("another leaf is accepted too"), path)
		}
	}

	chain, err := filepath.Glob(filepath.Join(folder, "chain", "*.checkpoint"))
	must(err, "the chain")
	sort.Strings(chain)
	steps := 0
	for nth := range chain[1:] {
		old := checkpoint(read(chain[nth]), known, chain[nth])
		next := checkpoint(read(chain[nth+1]), known, chain[nth+1])
		path := strings.TrimSuffix(chain[nth], "checkpoint") + "consistency"
		proof := tlog.TreeProof(hashes(strings.Split(string(read(path)), "\n"), path))
		must(tlog.CheckTree(proof, next.N, next.Hash, old.N, old.Hash), path)
		steps++
	}
	fmt.Printf("%d %d %d\n", newest.N, len(proofs), steps)
}
