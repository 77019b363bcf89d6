// `npm run bench`: installs the peers and the Node that everybody is measured on (peers/package.json), and starts main.ts on it.
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'

const PEERS = new URL('./peers/', import.meta.url).pathname
const MAIN = new URL('./main.ts', import.meta.url).pathname
const TSC = new URL('../node_modules/typescript/bin/tsc', import.meta.url).pathname
const NODE = `${PEERS}node_modules/node-${process.platform}-${process.arch}/bin/node`

if (!existsSync(NODE)) {
  execFileSync('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], { cwd: PEERS, stdio: 'inherit' })
}
// Node strips types with a compiler that takes memory of its own, which would count as the workers'.
execFileSync(process.execPath, [TSC, '-p', new URL('workers/tsconfig.json', import.meta.url).pathname], {
  stdio: 'inherit',
})
const { status } = spawnSync(NODE, ['--disable-warning=ExperimentalWarning', MAIN, ...process.argv.slice(2)], {
  stdio: 'inherit',
})
process.exitCode = status ?? 1
