# SPDX-License-Identifier: Apache-2.0
#
# npm install from local tarballs, without a network, and a script that uses what it installed.

. "$(dirname "$0")/steps.sh"
needs node nodejs
needs npm npm
export npm_config_cache=$PWD/cache npm_config_offline=true npm_config_audit=false \
  npm_config_fund=false npm_config_update_notifier=false npm_config_loglevel=error

# package NAME DEPENDENCIES BODY
package() {
  mkdir -p packages/$1/lib
  cat >packages/$1/package.json <<JSON
{"name": "$1", "version": "1.2.3", "main": "lib/index.js", "bin": {"$1-run": "lib/run.js"},
 "license": "Apache-2.0", "dependencies": {$2}}
JSON
  printf '%s\n' "$3" >packages/$1/lib/index.js
  printf '#!/usr/bin/env node\nconsole.log("%s runs");\n' $1 >packages/$1/lib/run.js
  for i in {1..150}; do echo "module.exports = $i;" >packages/$1/lib/part$i.js; done
  (cd packages && npm pack --silent ./$1 >/dev/null)
}

prepare() {
  package leaf '' 'module.exports = (x) => x + require("./part7.js");'
  package middle '"leaf": "^1.0.0"' \
    'module.exports = (x) => require("leaf")(x) * 2;'
  package top '"leaf": "^1.0.0"' \
    'module.exports = async (file) => {
       const fs = require("fs");
       await fs.promises.writeFile(file, "x".repeat(100000));
       const watcher = fs.promises.watch(".", {signal: AbortSignal.timeout(5000)});
       setTimeout(() => fs.renameSync(file, file + ".new"), 50);
       for await (const event of watcher) if (event.filename === file + ".new") break;
       await fs.promises.cp(file + ".new", "sub/" + file, {recursive: true});
       return (await fs.promises.stat("sub/" + file)).size + require("leaf")(1);
     };'
  rm -rf "$TMPDIR" cache
}

list() { npm ls --all | sed "s#$PWD##"; }
tree() {
  find app -path '*/.package-lock.json' -prune -o -printf '%P %y %m %s %l\n' | sort | sha256sum
}

before() {
  mkdir -p app/sub
  cd app
  echo '{"name": "app", "version": "1.0.0", "scripts": {"start": "node start.js"}}' >package.json
  npm install ../packages/{leaf,middle}-1.2.3.tgz >/dev/null
  echo 'console.log(require("middle")(5));' >start.js
  npm run --silent start
  list
  cd ..
  tree
}

from_lock_file_and_cache() {
  rm -rf node_modules
  npm ci >/dev/null
}

after() {
  cd app
  at_work from_lock_file_and_cache
  npm install ../packages/top-1.2.3.tgz >/dev/null
  echo 'require("top")("file").then((x) => console.log(x, require("middle")(5)));' >start.js
  npm run --silent start
  npx --no-install top-run
  npm uninstall middle >/dev/null
  list
  cd ..
  tree
  sha256sum app/package-lock.json app/package.json
}

recover() {
  cd app
  rm -rf node_modules
  npm install ../packages/{leaf,middle,top}-1.2.3.tgz >/dev/null
  list >/dev/null
}

"$@"
