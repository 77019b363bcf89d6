/**
 * GoodJob reads its clock once for each time column, in the order in which it saves the rows. A statement here gets one reading of the
 * worker's clock, `$n`; what the server has spent on the statement since makes later ones of it.
 */
export const sinceStatementBegan = (reading: string): string =>
  `${reading} + (clock_timestamp() - statement_timestamp())`

/** The middle of two times: for what Ruby saves between them, and a statement here writes with one of them. */
export const between = (earlier: string, later: string): string => `${earlier} + (${later} - ${earlier}) / 2`
