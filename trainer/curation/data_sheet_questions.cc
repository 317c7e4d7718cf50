#include "stoa/trainer/curation/data_sheet_questions.h"

#include <iterator>

namespace stoa::trainer {
namespace {

using enum DataSheetAnswer;

constexpr const char* kMotivation = "Motivation";
constexpr const char* kComposition = "Composition";
constexpr const char* kCollection = "Collection process";
constexpr const char* kPreprocessing = "Preprocessing, cleaning, labelling";
constexpr const char* kUses = "Uses";
constexpr const char* kDistribution = "Distribution";
constexpr const char* kMaintenance = "Maintenance";
constexpr const char* kComments = "Any other comments?";
constexpr const char* kCommentsHint = "anything else a reader should know, or \"none\"";

constexpr DataSheetQuestion kQuestions[] = {
    {kMotivation, "For what purpose was the data set created?", kWhole, answer_purpose,
     "the task in mind and the gap it fills (key `description` of the recipe)"},
    {kMotivation, "Who created it, and on behalf of whom?", kWhole, answer_creator,
     "the team and the institution (key `creator` of the recipe)"},
    {kMotivation, "Who paid for it?", kNone, nullptr, "funder and number of the grant"},
    {kMotivation, kComments, kNone, nullptr, kCommentsHint},

    {kComposition, "What do the instances represent?", kPart, answer_instances,
     "what the documents are about and their kinds"},
    {kComposition, "How many instances are there?", kWhole, answer_counts, "the number of documents"},
    {kComposition, "All possible instances, or a sample of a larger set?", kPart, answer_sample,
     "whether the sources themselves are a sample, of what, and how representative"},
    {kComposition, "What does each instance consist of?", kPart, answer_instance_data,
     "which fields stand beside the text, and where they come from"},
    {kComposition, "Does each instance have a label or target?", kNone, nullptr, "which, or that there is none"},
    {kComposition, "Is information missing from instances?", kPart, answer_changed_texts,
     "what the sources had left out before, and why"},
    {kComposition, "Are relations between instances made explicit?", kNone, nullptr,
     "threads, links, translations of one another; or that there are none"},
    {kComposition, "Are there recommended splits?", kWhole, answer_splits, "the split and its reason"},
    {kComposition, "Are there errors, noise or redundancies?", kPart, answer_redundancies,
     "known errors of the sources, such as scanning or markup"},
    {kComposition, "Is it self-contained, or does it rely on something elsewhere?", kPart, answer_files,
     "whether documents mean anything only with what they link to"},
    {kComposition, "Does it hold confidential data?", kNone, nullptr,
     "what the sources' owners say, and how that was checked"},
    {kComposition, "Does it hold what may offend, insult, threaten or frighten?", kNone, nullptr,
     "what a look at a sample of documents showed"},
    {kComposition, "Does it identify groups of people?", kPart, answer_languages,
     "age, gender, origin: how, and their shares"},
    {kComposition, "Can individuals be identified, directly or with other data?", kPart, answer_personal_data,
     "what a person found who looked for names and other traces"},
    {kComposition, "Does it hold sensitive data (health, finance, belief, origin, orientation ...)?", kPart,
     answer_personal_data, "which kinds, and why they stay"},
    {kComposition, kComments, kNone, nullptr, kCommentsHint},

    {kCollection, "How was the data of each instance acquired?", kPart, answer_sources,
     "where each source comes from and whether its content was checked"},
    {kCollection, "By which mechanisms or procedures?", kPart, answer_collection_tool,
     "crawler, interface, export or hand by which the sources were obtained"},
    {kCollection, "If it is a sample, how was it drawn?", kPart, answer_sample,
     "how the sources were drawn, if they were"},
    {kCollection, "Who collected it, and how were they paid?", kNone, nullptr, "people or firms, and their pay"},
    {kCollection, "Over what time?", kPart, answer_time,
     "when the sources were collected and when their texts were written"},
    {kCollection, "Was there an ethical review?", kNone, nullptr,
     "the board, its result, a link; or that there was none"},
    {kCollection, "From the people themselves, or from elsewhere?", kNone, nullptr,
     "which, for each source about people"},
    {kCollection, "Were they told?", kNone, nullptr, "how, with the text; or that they were not"},
    {kCollection, "Did they consent?", kNone, nullptr, "how, with the text; or that they were not asked"},
    {kCollection, "Can they take consent back?", kNone, nullptr, "by which way"},
    {kCollection, "Was the effect on the people studied?", kNone, nullptr,
     "a data protection assessment and its result"},
    {kCollection, kComments, kNone, nullptr, kCommentsHint},

    {kPreprocessing, "What was cleaned, filtered or labelled?", kWhole, answer_steps,
     "what was done to the documents, or that nothing was"},
    {kPreprocessing, "Was the raw data kept?", kPart, answer_raw_data, "where the sources are kept and for how long"},
    {kPreprocessing, "Is the software available?", kPart, answer_software, "where this version of Stoa can be had"},
    {kPreprocessing, kComments, kNone, nullptr, kCommentsHint},

    {kUses, "What has it been used for?", kNone, nullptr, "models and papers"},
    {kUses, "Where are its uses listed?", kNone, nullptr, "a page with papers and systems, or that there is none"},
    {kUses, "What else could it be used for?", kNone, nullptr, "tasks"},
    {kUses, "Does anything in its making limit later uses?", kPart, answer_effects_on_use,
     "risks for groups of people, and what a user can do about them"},
    {kUses, "What should it not be used for?", kNone, nullptr, "tasks"},
    {kUses, kComments, kNone, nullptr, kCommentsHint},

    {kDistribution, "Will it be given to others?", kNone, nullptr, "to whom"},
    {kDistribution, "How?", kWhole, answer_url, "archive or site, and a DOI (key `url` of the recipe)"},
    {kDistribution, "When?", kWhole, answer_date, "date (key `date_published` of the recipe)"},
    {kDistribution, "Under which licence or terms?", kWhole, answer_license,
     "name and link (key `license` of the recipe)"},
    {kDistribution, "Do others hold rights in it?", kNone, nullptr, "terms of each source"},
    {kDistribution, "Do export controls or other rules apply?", kNone, nullptr, "which, or that none are known"},
    {kDistribution, kComments, kNone, nullptr, kCommentsHint},

    {kMaintenance, "Who maintains it?", kNone, nullptr, "person or group"},
    {kMaintenance, "How can they be reached?", kNone, nullptr, "address"},
    {kMaintenance, "Is there an erratum?", kNone, nullptr, "link"},
    {kMaintenance, "Will it be updated?", kPart, answer_version, "how often, by whom, how users hear of it"},
    {kMaintenance, "Are there limits to keeping data about people?", kNone, nullptr,
     "limits promised and how they are kept"},
    {kMaintenance, "Will older versions stay?", kNone, nullptr, "where, and until when"},
    {kMaintenance, "How can others extend or correct it?", kPart, answer_extension,
     "where contributions go and who checks them"},
    {kMaintenance, kComments, kNone, nullptr, kCommentsHint},
};

static_assert(std::size(kQuestions) == 57);

}  // namespace

std::span<const DataSheetQuestion> data_sheet_questions() { return kQuestions; }

}  // namespace stoa::trainer
