// Printed before `npm test`: how long it takes, what another command runs, and what cannot run here.
import { missingTools } from '../compat/support/tools.js'

console.log(`npm test takes about twelve minutes on two cores: most unit tests, then a choice of the tests beside the real GoodJob, whose
gems the first run installs.
All of those: npm run test:unit, npm run compat. Everything that must be green: .ci/run`)
const missing = missingTools()
if (missing !== '') console.log(missing)
