// Makes Node run the TypeScript files of threads, for tests of the source. Node from 22.18 does that by itself. The threads of a
// process inherit `--import` and with it this hook.
import { register } from 'node:module'

register('./typescript-hook.js', import.meta.url)
