import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** Grows with each change of what is stored that this version cannot read of an earlier one. */
const FORMAT = '2'

/**
 * Marks a data folder with the form of its data.
 * @param dbFile the file of the database, from which the folder is known to have data.
 * @throws Error with a sentence that says what to do, if an earlier or a later version has written them
 */
export function requireFormat(folder: string, dbFile: string): void {
  const file = join(folder, 'format')
  const found = existsSync(file) ? readFileSync(file, 'utf8').trim() : existsSync(dbFile) ? '1' : FORMAT
  if (found !== FORMAT)
    throw new Error(
      `The data in ${folder} are of another version of Bursar, which this one cannot read. Delete the folder to start afresh, or keep it and choose another: npm run dev -- --data FOLDER`,
    )
  writeFileSync(file, `${FORMAT}\n`)
}
