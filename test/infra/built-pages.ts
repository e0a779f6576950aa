import { writePages } from '../../functions/deploy/build-pages.ts'

/** Builds the pages that the deployment would upload, once for all graphs. */
export default () => writePages()
