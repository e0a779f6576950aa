import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'

/**
 * Locks a data folder for this process: two stacks on one folder would overwrite each other's files. The lock
 * is SQLite's own, which is released when the process ends, even if the process is killed.
 * @throws Error with a message for the person at the terminal if another process holds the lock.
 */
export function lockFolder(folder: string): { close(): void } {
  try {
    const database = new DatabaseSync(join(folder, 'lock.db'))
    database.exec('BEGIN EXCLUSIVE')
    return { close: () => database.close() }
  } catch (error) {
    throw new Error(
      `Another local stack uses ${folder} (${(error as Error).message}). Stop it, or choose another folder: npm run dev -- --data FOLDER`,
    )
  }
}
