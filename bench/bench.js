// `npm run bench`: installs the peers and the Node that all contenders run on (peers/package.json), and starts main.ts on it.
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'

/** @param {string} path */
const here = (path) => new URL(path, import.meta.url).pathname
const PEERS = here('peers/')
const TSC = here('../node_modules/typescript/bin/tsc')
/** Linux has a package of this Node; other systems use the current Node, if it runs TypeScript. */
const PACKAGED_NODE = `${PEERS}node_modules/node-${process.platform}-${process.arch}/bin/node`

if (!existsSync(`${PEERS}node_modules`)) {
  execFileSync('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], { cwd: PEERS, stdio: 'inherit' })
}
// Node strips types with a compiler that takes memory of its own, which would count as the workers'.
execFileSync(process.execPath, [TSC, '-p', here('workers/tsconfig.json')], { stdio: 'inherit' })

const node = existsSync(PACKAGED_NODE) ? PACKAGED_NODE : process.execPath
const args = ['--disable-warning=ExperimentalWarning', here('main.ts'), ...process.argv.slice(2)]
process.exitCode = spawnSync(node, args, { stdio: 'inherit' }).status ?? 1
