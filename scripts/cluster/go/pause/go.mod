module imcluster.local/cluster/pause

go 1.26
