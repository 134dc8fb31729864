// Every public function of the package.
import { chapter, inventory } from './harness.mjs';

await chapter(async ({ sdk }) => inventory(sdk()));
