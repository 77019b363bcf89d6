// node test/commit-subject.js <file>: prints what is wrong with the subject of a commit message; exits with 1 if a rule is broken.
import { readFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'

const MAX_LENGTH = 72

/**
 * The rules that a subject breaks: at most 72 characters, an imperative without a topic in front, no full stop.
 *
 * @param {string} subject
 * @returns {string[]}
 */
export const subjectFaults = (subject) => {
  const [verb = ''] = subject.split(' ')
  return [
    ...(subject.length > MAX_LENGTH ? [`it has ${subject.length} characters, ${MAX_LENGTH} are the most`] : []),
    ...(/^[\w./ -]+: /.test(subject) ? ['it begins with a topic'] : []),
    ...(/^[A-Z][a-z]+,?$/.test(verb) ? [] : ['it does not begin with a verb in capitals and small letters']),
    ...(/(?:ed|ing)$/.test(verb) && !/^(?:Need|Feed|Embed|Bring|Ring|String|Exceed)$/.test(verb)
      ? [`"${verb}" is no imperative`]
      : []),
    ...(subject.endsWith('.') ? ['it ends with a full stop'] : []),
  ]
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const subject = readFileSync(process.argv[2] ?? '', 'utf8').split('\n')[0] ?? ''
  // Subjects that git writes itself are exempt.
  const faults = /^(?:fixup|squash|Merge|Revert)\b/.test(subject) ? [] : subjectFaults(subject)
  if (faults.length > 0) {
    console.error(`The subject "${subject}" is refused: ${faults.join('; ')}.`)
    process.exitCode = 1
  }
}
