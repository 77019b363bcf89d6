// Adds to package-lock.json the optional packages that npm left out because the registry at hand does not carry them: binaries
// for other systems. Without them `npm ci` calls the lock incomplete. They get no integrity; npm on such a system adds it.
// Run it after `npm install` when test/lockfile.test.ts is red.
import { readFileSync, writeFileSync } from 'node:fs'

const PATH = new URL('../package-lock.json', import.meta.url)
const SYSTEMS = { windows: 'win32' }
const OS = ['android', 'darwin', 'freebsd', 'linux', 'netbsd', 'openbsd', 'openharmony', 'sunos', 'win32']
const CPU = ['arm', 'arm64', 'ia32', 'loong64', 'mips64el', 'ppc64', 'riscv64', 's390x', 'wasm32', 'x64']

const lock = JSON.parse(readFileSync(PATH, 'utf8'))
const { '': root, ...packages } = lock.packages
for (const parent of Object.values(packages)) {
  for (const [name, range] of Object.entries(parent.optionalDependencies ?? {})) {
    packages[`node_modules/${name}`] ??= entry(name, range, parent)
  }
}
const sorted = Object.entries(packages).sort(([a], [b]) => a.localeCompare(b, 'en'))
lock.packages = { '': root, ...Object.fromEntries(sorted) }
writeFileSync(PATH, `${JSON.stringify(lock, null, 2)}\n`)

/** The name of such a package tells the system it is for. */
function entry(name, range, parent) {
  const words = name
    .slice(name.indexOf('/') + 1)
    .split('-')
    .map((word) => SYSTEMS[word] ?? word)
  const os = OS.find((each) => words.includes(each))
  const cpu = CPU.find((each) => words.includes(each))
  const libc = words.some((word) => word.startsWith('musl')) ? 'musl' : undefined
  return {
    version: range.replace(/^[\^~]/, ''),
    ...(cpu && { cpu: [cpu] }),
    ...(parent.dev && { dev: true }),
    ...(libc && { libc: [libc] }),
    optional: true,
    ...(os && { os: [os] }),
  }
}
