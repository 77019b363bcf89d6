/** Labels as GoodJob stores them: trimmed, without blanks and duplicates. */
export const normalizeLabels = (labels: readonly string[]): readonly string[] => {
  if (labels.length === 0) return labels
  return [...new Set(labels.map((label) => String(label).trim()).filter((label) => label !== ''))]
}
